"""Label Studio and our gateway before it: installed, started, looked after, ended."""
