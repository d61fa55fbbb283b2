import { observeSubmissions } from '../lib/runtime/recorder';

/** The names of the native ops that `body` submits. */
export function submitted(body: () => void): string[] {
  const names: string[] = [];
  observeSubmissions((name) => void names.push(name));
  try {
    body();
  } finally {
    observeSubmissions(undefined);
  }
  return names;
}
