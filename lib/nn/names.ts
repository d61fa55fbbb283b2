/** How fields are called in state dicts: as in PyTorch. Names that begin with a capital (`W`, `LayerNorm`) stay as they are. */
export const snakeCase = (name: string): string =>
  /^[A-Z]/.test(name) ? name : name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
