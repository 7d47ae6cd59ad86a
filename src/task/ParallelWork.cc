// Weft - ParallelWork: series that run beside each other
// SPDX-License-Identifier: Apache-2.0
//
// Built by one thread, then dispatched; from then on it does not change until the last series has
// ended, on whose thread done() runs. A series that is started late is only counted. The pointers
// to first tasks, which ParallelTask dispatches, and those to the series share one block.
#include <stdlib.h>
#include <string.h>

#include "kernel/subtask.h"
#include "task/scope.h"

using wf::detail::CutGroup;
using wf::detail::misuse;
using wf::detail::SeriesScope;
using wf::detail::TaskLink;

ParallelWork::ParallelWork(parallel_callback_t &&cb)
    : ParallelTask(nullptr, 0), context(nullptr), callback(std::move(cb)), all_series_(nullptr),
      room_(0), started_(false) {}

ParallelWork::ParallelWork(SeriesWork *const all_series[], size_t n, parallel_callback_t &&cb)
    : ParallelWork(std::move(cb)) {
    if (n > 0)
        this->reserve(n);
    for (size_t i = 0; i < n; i++)
        this->add_series(all_series[i]);
}

ParallelWork::~ParallelWork() {
    for (size_t i = 0; i < this->subtasks_nr; i++) {
        this->all_series_[i]->set_in_parallel(nullptr);
        this->all_series_[i]->dismiss_recursive();
    }
    free(this->subtasks);
}

void ParallelWork::reserve(size_t n) {
    static_assert(sizeof(SubTask *) == sizeof(SeriesWork *));
    if (n > SIZE_MAX / (2 * sizeof(SubTask *)))
        misuse("a parallel has more series than memory can hold");
    SubTask **block = static_cast<SubTask **>(malloc(n * 2 * sizeof(SubTask *)));
    if (!block)
        misuse("a parallel has more series than memory can hold");
    SeriesWork **series = reinterpret_cast<SeriesWork **>(block + n);
    if (this->subtasks_nr > 0)
        memcpy(series, this->all_series_, this->subtasks_nr * sizeof *series);
    free(this->subtasks);
    this->subtasks = block; // filled when it is dispatched
    this->all_series_ = series;
    this->room_ = n;
}

void ParallelWork::add_series(SeriesWork *series) {
    if (this->started_) [[unlikely]]
        misuse("ParallelWork::add_series() to a parallel that runs");
    if (series->in_parallel_ == this) [[unlikely]]
        misuse("ParallelWork::add_series() of a series that was added before");
    if (series->in_parallel_) [[unlikely]]
        misuse("ParallelWork::add_series() of a series that is part of another parallel");
    if (series->started_) [[unlikely]]
        misuse("ParallelWork::add_series() of a series that was started");
    if (this->subtasks_nr == this->room_)
        this->reserve(this->room_ > 0 ? this->room_ * 2 : 4);
    series->set_in_parallel(this);
    this->all_series_[this->subtasks_nr++] = series;
}

void ParallelWork::start() {
    wf::detail::check_start(this, "ParallelWork::start()");
    Workflow::start_series_work(this, nullptr);
}

void ParallelWork::dismiss() {
    wf::detail::check_dismiss(this, "ParallelWork::dismiss()");
    delete this;
}

void ParallelWork::dispatch() {
    this->started_ = true;
    CutGroup *group = TaskLink::children_of(this);
    for (size_t i = 0; group && i < this->subtasks_nr; i++)
        SeriesScope::enter(this->all_series_[i], group);
    for (size_t i = 0; i < this->subtasks_nr; i++)
        this->subtasks[i] = this->all_series_[i]->start_first();
    this->ParallelTask::dispatch();
}

void ParallelWork::start_late(SeriesWork *series) {
    series->set_in_parallel(this);
    if (CutGroup *group = TaskLink::children_of(this))
        SeriesScope::enter(series, group);
    SubTask *first = series->start_first();
    SubTaskDriver::add_child(this, first);
    SubTask::start_task(first);
}

SubTask *ParallelWork::done() {
    SeriesWork *series = series_of(this);
    if (this->callback)
        this->callback(this);
    for (size_t i = 0; i < this->subtasks_nr; i++)
        delete this->all_series_[i];
    this->subtasks_nr = 0;
    delete this;
    return series->pop();
}
