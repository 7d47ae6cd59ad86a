// Weft public header, room: factory - the old name of a part of WFFacilities.h
// SPDX-License-Identifier: Apache-2.0
#include "WFFacilities.h"
