"""The threads in which visitors' sockets ask the database: their loop never does."""

from tickets import dbthreads

in_thread = dbthreads.DatabaseThreads(6, "visitors").run
