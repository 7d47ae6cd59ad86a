// Weft public header, room: metrics - a status page that any HTTP server can show
// SPDX-License-Identifier: Apache-2.0
//
// Usable from C++11.
//
// Nobody sees anything unless the program calls serve_status() for a request: so the program says
// on which server, under which path, and whom it lets in. See docs/about-metrics.md.
#ifndef WEFT_STATUS_H
#define WEFT_STATUS_H

#include <chrono>
#include <stddef.h>
#include <string>

#include "../WFTaskFactory.h"

namespace wf {

struct StatusOptions {
    std::string path = "/status";
    std::string title = "Weft";     // what the page says it shows
    bool show_connections = true;   // with the addresses of peers
    bool show_slow_requests = true; // with what they asked for
    size_t max_connections = 200;   // are listed
};

// In process: when the request is for <path>, <path>/json or <path>/metrics, makes the answer and
// returns true; else touches nothing and returns false. The page, and what it reads each second,
// are about the whole process; its list of connections is that of the task's own server.
bool serve_status(WFHttpTask *task, const StatusOptions &options = StatusOptions());

// Requests to HTTP servers that take at least so long, from the first byte to the answer, are kept,
// the last 64 of the process. 100 ms at first; at any time.
void set_slow_threshold(std::chrono::nanoseconds threshold);

} // namespace wf

#endif
