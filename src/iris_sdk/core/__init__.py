"""The pure part of the SDK: no I/O, no clock, no chance. `client.ClientCore` is its door."""

from iris_sdk.core.client import ClientCore, Saved, SavedConversation
from iris_sdk.core.lifecycle import State

__all__ = ["ClientCore", "Saved", "SavedConversation", "State"]
