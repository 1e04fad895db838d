"""The embedded sandbox server: E2B's own protocol over bubblewrap, so that the real `e2b` SDK talks to it.

    python -m local.sandboxes --host 127.0.0.1 --port 3100 --data DIR [--allow 127.0.0.1:3200 ...]

Outside (this package):            Inside every sandbox (`envd`, copied to /opt/envd):
  control   REST control plane       process     commands and their output
  gateway   data plane, by id        filesystem  stat, list, move, remove
  fleet     all sandboxes, timeouts  files       upload and download
  box       one sandbox's life       relay       loopback ports that lead to the egress
  processes seen from outside
  jail      the bwrap command line
  trial     whether the walls stand on this kernel
  users     the host's ids that sandboxes run as
  cgroups   the kernel's limits for all of it, where there are some
  usage     the watch on memory and disk
  size      how large a sandbox may become
  runtime   what a sandbox may read
  egress    the only way out
  reach     how far it leads
  names     the addresses of hosts
  refusals  what it refused
  records   what survives a restart
  faults    what tests let go wrong

The server changes into DIR and names everything below it by relative paths, because the path of a unix socket
has at most 107 bytes. A sandbox is DIR/sandboxes/<id>: `home` and `tmp` are mounted in it, the rest is not.
"""
