// Weft - the sessions of the simulated program
// SPDX-License-Identifier: Apache-2.0
#ifndef WEFT_TEST_SIM_SESSION_H
#define WEFT_TEST_SIM_SESSION_H

#include "program.h"
#include "workflow/SleepRequest.h"

namespace sim {

class FrameOut : public CommMessageOut {
public:
    FrameOut(Program *program, std::string bytes) : program_(program), bytes_(std::move(bytes)) {}

private:
    int encode(struct iovec vectors[], int max) override;
    Program *program_;
    std::string bytes_;
};

class FrameIn : public CommMessageIn {
public:
    FrameIn(Program *program, bool serving, bool strict)
        : program_(program), serving_(serving), strict_(strict) {}
    FrameParser parser;
    bool complete = false;
    bool over = false;                // the session was handled: nothing may come any more
    Connection *connection = nullptr; // of a server

private:
    int append(const void *buf, size_t *size) override;
    int finish() override;
    void abandon(int error) override;
    int skip();
    Program *program_;
    bool serving_;
    bool strict_; // the peer is known to speak properly
    bool inside_ = false;
    bool head_told_ = false;
};

class ClientTask : public CommRequest {
public:
    ClientTask(Program *program, CommSchedObject *object, bool hostile, int chain);
    ~ClientTask() override;

private:
    CommMessageOut *message_out() override;
    CommMessageIn *message_in() override;
    int send_timeout() override;
    int receive_timeout() override { return receive_ms_; }
    int keep_alive_timeout() override;
    int first_timeout() override { return first_ms_; }
    void handle(int state, int error) override;
    SubTask *done() override;
    void check_result(int state, int error);

    Program *program_;
    uint32_t id_;
    size_t size_, want_;
    unsigned flags_;
    bool hostile_;
    int chain_;
    int send_ms_, receive_ms_, first_ms_, keep_ms_;
    int handled_ = 0;
    bool mute_;
    std::shared_ptr<Cancel> cancel_;
    Time begun_;
    std::unique_ptr<FrameOut> out_;
    std::unique_ptr<FrameIn> in_;
};

class ServerSession : public CommSession {
public:
    ServerSession(Program *program, Server *server, bool strict);
    ~ServerSession() override;

private:
    CommMessageOut *message_out() override;
    CommMessageIn *message_in() override;
    int send_timeout() override { return server_->send_ms; }
    int receive_timeout() override { return server_->receive_ms; }
    int keep_alive_timeout() override;
    void handle(int state, int error) override;
    void to_reply();
    void answer();
    void act();
    void push_first();
    void watch();

    Program *program_;
    Server *server_;
    bool shown_ = false, replying_ = false, ended_ = false;
    std::shared_ptr<int> told_ = std::make_shared<int>(0); // how often that the peer has gone
    std::unique_ptr<FrameOut> out_;
    FrameIn in_;
};

class Timer : public SleepSession {
public:
    Timer(Program *program, std::function<void(int)> then);
    ~Timer() override;
    // Two may hold it: the kernel until handle(), and one who cancels.
    void unref();
    void ref() { refs_++; }
    void forever() { forever_ = true; }
    bool begin();
    // It must end as canceled if the kernel says so.
    void cancel();

private:
    int duration(struct timespec *value) override;
    void handle(int state, int error) override;
    Program *program_;
    std::function<void(int)> then_;
    std::list<Timer *>::iterator place_;
    int refs_ = 1;
    int handled_ = 0;
    bool forever_ = false;
    bool promised_ = false; // that it ends as canceled
    bool kept_ = false;     // it did, or was disrupted
    Time begun_ = 0, length_ = 0;
};

} // namespace sim

#endif
