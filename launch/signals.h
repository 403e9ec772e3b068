// Requests to stop that come from outside: SIGUSR1, SIGTERM, SIGINT.
#pragma once

namespace langrun::launch {

/// From here on these signals only note that a stop was asked for; the training loop agrees on it with all ranks at the
/// end of the step, writes a checkpoint and ends with exit code 75.
void listen_for_stop();
/// True once such a signal reached this process.
bool stop_asked();

}  // namespace langrun::launch
