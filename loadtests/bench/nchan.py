"""nginx with the module nchan (Debian: libnginx-mod-nchan), as a publisher to measure.

It is started with a configuration of its own, in a temporary folder, with one worker on a
free port of loopback, and ends with its `with` block. Events are published by POST, as its
users do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ..listening import free_port
from .figures import CannotMeasure
from .posting import Posting

__all__ = ["Nchan"]

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIGURATION = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /events {{
            nchan_subscriber eventsource;
            nchan_channel_id $arg_topic;
            nchan_subscriber_first_message newest;
        }}
        location = /publish {{
            nchan_publisher;
            nchan_channel_id $arg_topic;
            nchan_message_buffer_length 1;
        }}
    }}
}}
"""


class Nchan(Posting):
    """nginx, whose workers deliver."""

    name = "nchan"

    def __init__(self, cpus: Iterable[int], folder: str) -> None:
        """Keep everything in `folder`. Raises CannotMeasure if nchan is not installed."""
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if nginx is None or not MODULE.exists():
            raise CannotMeasure(
                "nginx with nchan is not installed (apt-get install nginx libnginx-mod-nchan)"
            )
        port = free_port()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(CONFIGURATION.format(module=MODULE, folder=folder, port=port))
        super().__init__([nginx, "-p", folder, "-c", str(configuration)], cpus, port)
