"""The three messages of StreamService, in a descriptor pool of their own.

A program's own ``stream_pb2``, generated from any file that defines ``proto.StreamPoint``, is in protobuf's default
pool, where a second definition of the same names would be an error. A message of one pool never equals a message of
another: compare fields or bytes.
"""

from __future__ import annotations

from importlib import resources

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

__all__ = ["DESCRIPTOR", "POOL", "StreamPoint", "StreamRequest", "StreamResponse"]

POOL = DescriptorPool()
for _file in FileDescriptorSet.FromString(resources.files(__package__).joinpath("stream.binpb").read_bytes()).file:
    POOL.AddSerializedFile(_file.SerializeToString())

DESCRIPTOR = POOL.FindFileByName("stream.proto")

StreamPoint = GetMessageClass(DESCRIPTOR.message_types_by_name["StreamPoint"])
StreamRequest = GetMessageClass(DESCRIPTOR.message_types_by_name["StreamRequest"])
StreamResponse = GetMessageClass(DESCRIPTOR.message_types_by_name["StreamResponse"])
for _class in (StreamPoint, StreamRequest, StreamResponse):
    _class.__module__ = __name__  # so that help() and pickle find them here
