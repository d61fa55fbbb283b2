/** Checks of the numbers that layers are made from. */
import { ArgumentError } from '../errors';
import { shown } from '../tensor/describe';

/** Throws unless every value is a positive integer. */
export function checkSizes(layer: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ArgumentError(`${layer}: ${name}: got ${shown(value)}, expected a positive integer`);
    }
  }
}

/** Throws unless `value` is a probability. */
export function checkProbability(layer: string, name: string, value: number): void {
  if (!(typeof value === 'number' && value >= 0 && value <= 1)) {
    throw new ArgumentError(`${layer}: ${name}: got ${shown(value)}, expected a number from 0 to 1`);
  }
}

/** Throws unless `value` is a positive number. */
export function checkPositive(layer: string, name: string, value: number): void {
  if (!(typeof value === 'number' && value > 0)) {
    throw new ArgumentError(`${layer}: ${name}: got ${shown(value)}, expected a positive number`);
  }
}
