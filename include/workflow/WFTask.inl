// Weft public header, room: task - the old name of a part of WFTask.h
// SPDX-License-Identifier: Apache-2.0
#include "WFTask.h"
