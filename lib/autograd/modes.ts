/** Whether ops are recorded: noGrad, enableGrad, inferenceMode, and anomaly mode. */
import { ArgumentError } from '../errors';
import { checkFunction } from '../tensor/checks';
import { recording } from '../tensor/node';

function within<T>(name: string, enabled: boolean, f: () => T): T {
  checkFunction(name, 'f', f);
  const before = recording.enabled;
  recording.enabled = enabled;
  try {
    const result = f();
    if (result instanceof Promise) {
      throw new ArgumentError(`${name}: f: got an async function, expected one that returns when it is done`);
    }
    return result;
  } finally {
    recording.enabled = before;
  }
}

/**
 * Runs `f` without recording: its results require no gradient.
 *
 * @example
 * const accuracy = noGrad(() => model.forward(x).argmax(-1).equalTo(y).cast('float32').mean());
 */
export function noGrad<T>(f: () => T): T {
  return within('noGrad', false, f);
}

/** Runs `f` with recording on, inside a `noGrad`. */
export function enableGrad<T>(f: () => T): T {
  return within('enableGrad', true, f);
}

/** The same as {@link noGrad}: results of inference are ordinary tensors here. */
export function inferenceMode<T>(f: () => T): T {
  return within('inferenceMode', false, f);
}

/** Whether ops are being recorded. */
export function isGradEnabled(): boolean {
  return recording.enabled;
}

/**
 * Runs `f` in anomaly mode: every gradient is checked during `backward`, and the first one with a NaN throws an error that names the op and shows
 * where in the forward pass it was called. Slow: it waits for the device after every op.
 */
export function detectAnomaly<T>(f: () => T): T {
  checkFunction('detectAnomaly', 'f', f);
  const before = recording.anomaly;
  recording.anomaly = true;
  try {
    return f();
  } finally {
    recording.anomaly = before;
  }
}
