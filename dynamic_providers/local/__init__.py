"""Services and jobs as processes of this machine, kept alive by one supervisord per stack."""
