/** Layers for graphs: nodes x [n, in] and edges [2, e] of sources and targets. */
export * from './gat-conv';
export * from './gcn-conv';
export * from './gin-conv';
export * from './sage-conv';
