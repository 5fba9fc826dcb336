#ifndef ADVISOR_CORE_EXEC_THREAD_POOL_H_
#define ADVISOR_CORE_EXEC_THREAD_POOL_H_

#include <memory>

#include "core/base/parallel.h"

namespace advisor {

// Fixed threads behind ParallelFor. Run() may be called from one thread at a time; the caller works
// too.
std::unique_ptr<ParallelFor> MakeThreadPool(int threads);

}  // namespace advisor

#endif  // ADVISOR_CORE_EXEC_THREAD_POOL_H_
