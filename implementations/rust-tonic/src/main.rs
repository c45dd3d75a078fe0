//! Serves StreamService on the loopback interface: `stream-server --port 50051`.

mod directive;
mod metadata;
mod service;
mod watch;

pub mod proto {
    tonic::include_proto!("proto");
}

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::signal::unix::{SignalKind, signal};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tower::layer::layer_fn;

use crate::metadata::EchoMetadata;
use crate::proto::stream_service_server::StreamServiceServer;
use crate::service::Service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let port = match arguments.as_slice() {
        [] => 50051,
        [option, port] if option == "--port" => port.parse()?,
        _ => return Err("usage: stream-server --port PORT".into()),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut terminate = signal(SignalKind::terminate())?;
    println!("listening on {address}");
    Server::builder()
        .layer(layer_fn(|inner| EchoMetadata { inner }))
        .add_service(StreamServiceServer::new(Service::default()).accept_compressed(CompressionEncoding::Gzip))
        .serve_with_shutdown(address, async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}
