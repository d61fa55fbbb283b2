/** Computing in several processes of one machine, as `distributed`. */
export { allGather, allReduce, barrier, broadcast, reduceScatter, type Reduction } from './collectives';
export { DistributedDataParallel, type DistributedDataParallelOptions } from './distributed-data-parallel';
export { syncBatchNorm } from './sync-batch-norm';
export { init, rank, worldSize, type InitOptions } from './process-group';
