"""The embedded sandbox server: E2B's own protocol over bubblewrap, so that the real `e2b` SDK talks to it.

    python -m local.sandboxes --host 127.0.0.1 --port 3100 --data DIR [--allow 127.0.0.1:3200 ...]

Outside (this package):              Inside every sandbox (`envd`, copied to /opt/envd):
  control_plane  REST                  process     commands and their output
  data_plane     by sandbox            filesystem  stat, list, move, remove
  fleet          all, time-outs        files       upload and download
  sandbox        one sandbox's life    relay       loopback ports that lead to the egress
  isolation/     bwrap's command line, the host's users that sandboxes run as, cgroups, processes as the host
                 sees them, what a sandbox may read, and the self-test of it all on this kernel
  limits/        disk and memory, watched; how large a sandbox may become
  network/       egress, the only way out; the policy of how far it leads; names; what was refused
  records        what survives a restart
  faults         what tests let go wrong

The server changes into DIR and names everything below it by relative paths, because the path of a unix socket
has at most 107 bytes. A sandbox is DIR/sandboxes/<id>: `home` and `tmp` are mounted in it, the rest is not.
"""
