// Weft public header, room: server - listeners that come from outside, and graceful restart
// SPDX-License-Identifier: Apache-2.0
//
// A process may be given listening descriptors: by systemd (socket activation: LISTEN_FDS), or by
// an older process of the same program that wants to be replaced. The old one starts the new one,
// which listens on the very same sockets, says that it is ready, and the old one then stops: it
// answers what it has accepted, announces the end of its connections, and not one newcomer is
// refused in between, since the queue of the socket is shared. Usable from C++11.
#ifndef WEFT_RESTART_H
#define WEFT_RESTART_H

#include <sys/types.h>
#include <vector>

#include "../WFServer.h"

namespace wf {

// The descriptors this process was given, for WFServer::serve(); in the order they were given.
// The caller's, and close-on-exec. At the second call none are left. Empty when there are none.
std::vector<int> inherited_listeners();

// Tells the process that started this one that it serves now. Does nothing when there is none that
// waits for it.
void tell_ready();

// Starts a program with the listening descriptors of these servers, and waits until it calls
// tell_ready(), at most so many milliseconds. It begins with no signal blocked. From then on stop()
// of these servers leaves the sockets open. `argv` as for execvp, NULL at its end. The process, or
// -1 with errno: what the system says, ENOTCONN when a server does not run, EOPNOTSUPP for one with
// reuse_port (what waits in the queues of its other sockets would be lost), EINVAL for more than
// 64, ETIMEDOUT, ECHILD when it ended before it was ready. In these cases a process that was
// started is killed, and the servers go on as they were. Not in a callback whose delay matters:
// this waits.
pid_t start_successor(char *const argv[], const std::vector<WFServerBase *> &servers,
                      int timeout_ms);

} // namespace wf

#endif
