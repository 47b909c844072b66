"""Protobuf code generated from protocol/iris/v1 (make gen)."""
