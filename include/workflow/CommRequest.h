// Weft public header, room: kernel - CommRequest: a session as a task
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_COMMREQUEST_H
#define WEFT_COMMREQUEST_H

#include <errno.h>
#include <stddef.h>

#include "CommScheduler.h"
#include "Communicator.h"
#include "SubTask.h"

#define TOR_NOT_TIMEOUT      0
#define TOR_WAIT_TIMEOUT     1
#define TOR_CONNECT_TIMEOUT  2
#define TOR_TRANSMIT_TIMEOUT 3

class CommRequest : public SubTask, public CommSession {
public:
    CommRequest(CommSchedObject *object_in, CommScheduler *scheduler_in) {
        this->state = -1;
        this->error = 0;
        this->target = NULL;
        this->timeout_reason = TOR_NOT_TIMEOUT;
        this->wait_timeout = 0;
        this->object = object_in;
        this->scheduler = scheduler_in;
        this->explicit_wait = false;
    }

    CommSchedObject *get_request_object() const { return this->object; }
    void set_request_object(CommSchedObject *object_in) { this->object = object_in; }

    // How long to wait for a free connection, in milliseconds. Set explicitly, the calling thread
    // waits, and 0 means not at all (EAGAIN). By default the task waits, at most for the connect
    // timeout, and no thread does.
    int get_wait_timeout() const { return this->wait_timeout; }
    void set_wait_timeout(int timeout) {
        this->wait_timeout = timeout;
        this->explicit_wait = true;
    }

    // Begins the request. A canceled one ends at once. An immediate failure calls
    // handle(CS_STATE_ERROR, errno) on this thread.
    void dispatch() override;

protected:
    int state;
    int error;

    CommTarget *target;
    int timeout_reason; // TOR_*
    int wait_timeout;
    CommSchedObject *object;
    CommScheduler *scheduler;

    // Keeps the result and ends the task.
    void handle(int state, int error) override;

private:
    CommSession *get_client_session() override { return this; }
    const SubTask *get_task() const override { return this; }
    static void resume(CommSession *session, CommTarget *target, int state, int error);
    bool explicit_wait;
};

#endif
