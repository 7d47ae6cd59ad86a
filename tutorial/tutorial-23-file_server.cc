// Weft - tutorial 23: the files of a directory by HTTP
// SPDX-License-Identifier: Apache-2.0
//
// File tasks in the series of a server task, and how to keep requests inside a directory. Page:
// docs/tutorial-23-file_server.md

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workflow/HttpMessage.h"
#include "workflow/HttpUtil.h"
#include "workflow/StringUtil.h"
#include "workflow/WFHttpServer.h"
#include "workflow/WFTaskFactory.h"
#include "workflow/Workflow.h"

#include "args.h"

// An answer is in memory as a whole until it is sent.
static const off_t kLargest = 64 * 1024 * 1024;
// And is read in pieces, so that other requests have their turn in between.
static const size_t kPiece = 1024 * 1024;

static int root = -1;

// One request: its file and what was read of it. Lives until the answer is sent.
struct Download {
    WFHttpTask *task;
    int fd;
    char *content;
    size_t size;
    size_t have;
};

static void answer(WFHttpTask *task, int status, const char *text) {
    protocol::HttpResponse *resp = task->get_resp();
    protocol::HttpUtil::set_response_status(resp, status);
    resp->set_header_pair("Content-Type", "text/plain");
    resp->append_output_body(text);
    resp->append_output_body("\n");
}

static const char *type_of(const std::string &path) {
    static const char *const types[][2] = {{".html", "text/html"},   {".txt", "text/plain"},
                                           {".css", "text/css"},     {".js", "text/javascript"},
                                           {".png", "image/png"},    {".jpg", "image/jpeg"},
                                           {".svg", "image/svg+xml"}};
    for (const char *const *type : types) {
        size_t length = strlen(type[0]);
        if (path.size() > length && path.compare(path.size() - length, length, type[0]) == 0)
            return type[1];
    }
    return "application/octet-stream";
}

// The path below the root that a request means, or an HTTP status.
static int path_of(const char *uri, std::string *path) {
    *path = uri;
    path->erase(std::min(path->find('?'), path->size()));
    StringUtil::url_decode(*path);
    if (path->empty() || path->front() != '/' || path->find('\0') != std::string::npos)
        return HttpStatusBadRequest;
    if ((*path + "/").find("/../") != std::string::npos)
        return HttpStatusForbidden;
    if (path->back() == '/')
        path->append("index.html");
    path->erase(0, path->find_first_not_of('/'));
    return HttpStatusOK;
}

// The system resolves the path, and refuses whatever leaves the root: "..", a symbolic link to
// outside, one with an absolute path. O_NONBLOCK: a FIFO is looked at without waiting for its
// writer.
static int open_below(const std::string &path) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

static void read_more(Download *download);

static void on_read(WFFileIOTask *task) {
    Download *download = static_cast<Download *>(task->user_data);
    long n = task->get_retval();
    if (n > 0)
        download->have += static_cast<size_t>(n);
    if (n > 0 && download->have < download->size) {
        read_more(download);
        return;
    }
    // Done, or failed, or somebody has shortened the file meanwhile.
    if (download->have == download->size)
        download->task->get_resp()->append_output_body_nocopy(download->content, download->size);
    else
        answer(download->task, HttpStatusInternalServerError, "cannot read the file");
}

static void read_more(Download *download) {
    size_t left = download->size - download->have;
    WFFileIOTask *next = WFTaskFactory::create_pread_task(
        download->fd, download->content + download->have, left < kPiece ? left : kPiece,
        static_cast<off_t>(download->have), on_read);
    next->user_data = download;
    // Whatever stands in the series of a server task runs before the answer is sent.
    series_of(download->task)->push_back(next);
}

static void serve_file(WFHttpTask *task, int fd, const std::string &path, bool head_only) {
    protocol::HttpResponse *resp = task->get_resp();
    struct stat info;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        answer(task, HttpStatusNotFound, "no regular file");
        return;
    }
    bool fits = info.st_size <= kLargest;
    size_t size = static_cast<size_t>(info.st_size);
    if (head_only || size == 0 || !fits) {
        close(fd);
        if (!head_only && !fits) {
            answer(task, HttpStatusNotImplemented, "larger than this server sends");
            return;
        }
        resp->set_header_pair("Content-Type", type_of(path));
        resp->set_header_pair("Content-Length", std::to_string(size));
        return;
    }
    char *content = static_cast<char *>(malloc(size));
    if (!content) {
        close(fd);
        answer(task, HttpStatusServiceUnavailable, "no memory");
        return;
    }
    resp->set_header_pair("Content-Type", type_of(path));
    Download *download = new Download{task, fd, content, size, 0};
    // Of a server task the callback comes when the answer was sent, or cannot be.
    task->set_callback([download](WFHttpTask *) {
        close(download->fd);
        free(download->content);
        delete download;
    });
    read_more(download);
}

static void process(WFHttpTask *task) {
    const char *method = task->get_req()->get_method();
    bool head_only = strcmp(method, "HEAD") == 0;
    if (!head_only && strcmp(method, "GET") != 0) {
        task->get_resp()->set_header_pair("Allow", "GET, HEAD");
        answer(task, HttpStatusMethodNotAllowed, "GET and HEAD only");
        return;
    }
    std::string path;
    int status = path_of(task->get_req()->get_request_uri(), &path);
    if (status != HttpStatusOK) {
        answer(task, status, status == HttpStatusForbidden ? "not outside" : "what path is that?");
        return;
    }
    int fd = open_below(path);
    if (fd >= 0) {
        serve_file(task, fd, path, head_only);
        return;
    }
    switch (errno) {
    case EXDEV: // it would have left the root
    case EACCES:
    case ELOOP:
        answer(task, HttpStatusForbidden, "not for you");
        break;
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        answer(task, HttpStatusNotFound, "no such file");
        break;
    default:
        answer(task, HttpStatusServiceUnavailable, strerror(errno));
    }
}

int main(int argc, char *argv[]) {
    unsigned short port = 0;
    if (argc != 3 || !parse_port(argv[1], &port)) {
        fprintf(stderr,
                "usage: %s PORT DIRECTORY\n"
                "Serves the files below the directory.\n",
                argv[0]);
        return 2;
    }
    root = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        perror(argv[2]);
        return 1;
    }

    watch_ctrl_c();
    WFHttpServer server(process);
    if (server.start(port) < 0) {
        perror("cannot start the server");
        close(root);
        return 1;
    }
    printf("listening on port %u; Ctrl-C ends\n", static_cast<unsigned>(port_of(server)));
    fflush(stdout);
    ctrl_c_group().wait();
    server.stop();
    close(root);
    puts("stopped");
    return 0;
}
