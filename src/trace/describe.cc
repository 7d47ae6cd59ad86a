// Weft - what tasks are called in timelines and reports
// SPDX-License-Identifier: Apache-2.0
#include <cxxabi.h>
#include <stdlib.h>
#include <string.h>

#include <typeinfo>

#include "trace/recorder.h"
#include "workflow/SubTask.h"

namespace wf::detail {

const char *mangled_type(const SubTask *task) {
    const SubTask &it = *task;
    return typeid(it).name();
}

std::string description(const SubTask *task) {
    char text[256];
    int length = task->describe(text, sizeof text);
    return length > 0 ? std::string(text) : std::string();
}

namespace {

// The last part of a::b<c::d>::e, without what stands in <> and (): that belongs to other names.
std::string last_part(const std::string &name) {
    std::string part;
    int inside = 0;
    for (size_t i = 0; i < name.size(); i++) {
        char c = name[i];
        if (c == '<' || c == '(')
            inside++;
        else if (c == '>' || c == ')')
            inside--;
        else if (inside == 0 && c == ':')
            part.clear();
        else if (inside == 0)
            part += c;
    }
    return part;
}

} // namespace

std::string type_name(const char *mangled) {
    int status = 0;
    char *plain = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    std::string name = last_part(plain ? plain : mangled);
    bool ours = plain && strstr(plain, "wf::detail::");
    free(plain);
    if (ours && name.starts_with("Named")) // a counter that has a name is a counter
        name.erase(0, 5);
    if (name == "Processor") // the function of a server
        return "process";
    size_t begin = name.starts_with("WF") ? 2 : 0;
    size_t end = name.ends_with("Task") ? name.size() - 4 : name.size();
    return begin < end ? name.substr(begin, end - begin) : name;
}

} // namespace wf::detail
