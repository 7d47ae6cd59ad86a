// Weft public header, room: kernel - the log hook: what the engine has to say to whoever runs the program
// SPDX-License-Identifier: Apache-2.0
//
// Refused connections, callbacks that block when no further thread can be made, settings that were
// bounded: what a user should hear of, and no callback tells. Usable from C++11.
#ifndef WEFT_LOG_H
#define WEFT_LOG_H

namespace wf {

enum class LogLevel { VERBOSE, INFO, WARNING, ERROR };

// Gets one line, without its end. Runs on the thread that has something to say, possibly inside the
// engine, so it must neither block for long nor call the engine; `text` lives during the call. Each
// place in the engine speaks at most ten times a second, and then says how much it left out.
typedef void (*LogHook)(LogLevel level, const char *text, void *context);

// Replaces the hook of the process; NULL restores the default, which writes warnings and errors to
// standard error. `context` is the program's and must live as long as it is set: a message under
// way may still reach the hook before.
void set_log_hook(LogHook hook, void *context);

// The least level that is passed on; WARNING at first.
void set_log_level(LogLevel least);

} // namespace wf

#endif
