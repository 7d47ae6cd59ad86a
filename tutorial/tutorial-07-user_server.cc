// Weft - tutorial 07: a server for a protocol of our own
// SPDX-License-Identifier: Apache-2.0
//
// Speaks netstrings (tutorial-07-netstring.h) and answers each with its words in reverse
// order. Page: docs/tutorial-07-user_protocol.md

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string>
#include <vector>

#include "workflow/StringUtil.h"

#include "args.h"
#include "tutorial-07-netstring.h"

static void turn_around(netstring::Task *task) {
    std::vector<std::string> words = StringUtil::split_filter_empty(task->get_req()->text(), ' ');
    std::reverse(words.begin(), words.end());
    std::string answer;
    for (const std::string &word : words)
        answer.append(answer.empty() ? "" : " ").append(word);
    task->get_resp()->set_text(answer);
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 2 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT\n"
                "Answers each netstring on PORT (0: a free one) with its words reversed.\n",
                argv[0]);
        return 2;
    }

    watch_ctrl_c();
    struct WFServerParams params = SERVER_PARAMS_DEFAULT;
    params.request_size_limit = 64 * 1024;
    netstring::Server server(&params, turn_around);
    if (server.start(port) < 0) {
        perror("cannot start the server");
        return 1;
    }

    struct sockaddr_in addr = {};
    socklen_t len = sizeof addr;
    server.get_listen_addr(reinterpret_cast<struct sockaddr *>(&addr), &len);
    printf("listening on port %u; Ctrl-C ends\n", static_cast<unsigned>(ntohs(addr.sin_port)));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    return 0;
}
