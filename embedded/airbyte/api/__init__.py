"""The two HTTP APIs: public (REST) and Config (RPC)."""
