/**
 * Owns every error class that hadal throws. All of them are `HadalError`s with a stable `code` and, where useful, the values
 * that were wrong in `fields`. Messages have one form: `op: what is wrong: got …, expected …`.
 */

/** Values that belong to an error, such as the shapes of the operands. */
export type ErrorFields = Readonly<Record<string, unknown>>;

/** The base of every error that hadal raises on purpose. */
export class HadalError extends Error {
  /** A stable identifier, such as `'SHAPE'`, for programs that react to an error. */
  readonly code: string;
  readonly fields: ErrorFields;

  constructor(message: string, fields: ErrorFields = {}, code = 'HADAL') {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.fields = fields;
  }
}

/** A shape, size, axis or rank that does not fit the op. */
export class ShapeError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'SHAPE');
  }
}

/** A dtype that the op does not take. */
export class DTypeError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'DTYPE');
  }
}

/** A device that is missing, lost, or not the one of the other operands. */
export class DeviceError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'DEVICE');
  }
}

/** A tensor that was used after its memory was released. */
export class DisposedError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'DISPOSED');
  }
}

/** Memory that the device or the process does not have. */
export class OutOfMemoryError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'OUT_OF_MEMORY');
  }
}

/** Something in a compiled step that a replay cannot repeat. */
export class CompileError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'COMPILE');
  }
}

/** An index outside the axis it points into. Indices live on the device, so it is raised at the next read. */
export class IndexError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'INDEX');
  }
}

/** A matrix that has no answer: one to invert that is singular, one that is not positive definite. Raised at the next read. */
export class LinAlgError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'LINALG');
  }
}

/** Processes that compute together and cannot go on: one has ended, does something else, or does not come. Raised at the next read. */
export class DistributedError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'DISTRIBUTED');
  }
}

/** An argument of the wrong kind or outside its range. */
export class ArgumentError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'ARGUMENT');
  }
}

/** Bytes from outside that are not what their format says. */
export class FormatError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'FORMAT');
  }
}

/** A misuse of the autograd graph: a missing gradient, a graph that was freed, a saved tensor that has changed. */
export class AutogradError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'AUTOGRAD');
  }
}
