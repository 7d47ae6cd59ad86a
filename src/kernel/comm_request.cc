// Weft - CommRequest: a session as a task
// SPDX-License-Identifier: Apache-2.0
#include "workflow/CommRequest.h"

void CommRequest::dispatch() {
    int ret;
    this->target = nullptr;
    this->set_ended(false);
    if (this->explicit_wait)
        ret = this->scheduler->request(this, this->object, this->wait_timeout, &this->target);
    else
        ret = this->scheduler->request_or_park(this, this->object, &this->target, resume);
    if (ret >= 0)
        return;
    // Behind the gate, unless it was canceled itself.
    if (errno == ECANCELED && this->scheduler->is_closing())
        this->handle(CS_STATE_STOPPED, 0);
    else
        this->handle(CS_STATE_ERROR, errno);
}

void CommRequest::resume(CommSession *session, CommTarget *target, int state, int error) {
    CommRequest *request = static_cast<CommRequest *>(session);
    request->target = target;
    if (state != CS_STATE_SUCCESS)
        request->handle(state, error);
}

void CommRequest::handle(int state_in, int error_in) {
    // Who cancelled was told that it ends so, if not in which attempt to begin it.
    int canceled = this->set_ended(true);
    if (canceled && state_in == CS_STATE_ERROR)
        error_in = canceled;
    this->state = state_in;
    this->error = error_in;
    if (error_in != ETIMEDOUT)
        this->timeout_reason = TOR_NOT_TIMEOUT;
    else if (!this->target)
        this->timeout_reason = TOR_WAIT_TIMEOUT;
    else if (!this->get_message_out())
        this->timeout_reason = TOR_CONNECT_TIMEOUT;
    else
        this->timeout_reason = TOR_TRANSMIT_TIMEOUT;
    this->subtask_done();
}
