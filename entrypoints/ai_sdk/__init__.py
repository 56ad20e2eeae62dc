"""The routes of the AI SDK's `useChat`, over the same use cases."""
