//! Generates the code of proto/stream.proto. protox is a compiler in Rust, so protoc is not needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../../proto/stream.proto");
    let descriptors = protox::compile(["stream.proto"], ["../../proto"])?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}
