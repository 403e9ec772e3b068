#include "launch/signals.h"

#include <csignal>
#include <initializer_list>

namespace langrun::launch {
namespace {

// A signal handler can reach nothing but a global of this type; it is private to this file and only ever set.
volatile std::sig_atomic_t asked = 0;

void note_stop(int) { asked = 1; }

}  // namespace

void listen_for_stop() {
  struct sigaction action = {};
  action.sa_handler = note_stop;
  action.sa_flags = SA_RESTART;  // a signal must not break a write or a read in the middle
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
}

bool stop_asked() { return asked != 0; }

}  // namespace langrun::launch
