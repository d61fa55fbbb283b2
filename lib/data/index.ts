/** Data sets and loaders, as `data`. */
export * from './dataset';
export * from './loader';
export * from './random';
export { renderDigits, type RenderedDigits } from './rendered-digits';
