// What the collectives of all devices share.
#pragma once

namespace hadal {

// The attribute `reduction` of a collective; lib/distributed/collectives.ts has the same order.
enum class Reduction : int { kSum, kMean, kMax, kMin };

}  // namespace hadal
