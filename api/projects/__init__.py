"""Projects: what Clerk tells of their members."""
