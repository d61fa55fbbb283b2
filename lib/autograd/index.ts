/** Differentiation. */
export { backward, type BackwardOptions } from './backward';
export * from './custom-function';
export * from './modes';
export * from './transforms';
