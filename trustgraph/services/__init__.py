"""What the commands do: each joins the store to the pure core. The command line and the scheduler call these."""
