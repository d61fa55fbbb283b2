/**
 * ONNX's messages: those fields of onnx.proto that a model is read from and written with. Numbers of 64 bits are JavaScript's, bytes are views of what was
 * read. Fields that are not listed here are skipped.
 *
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
import type * as Protobuf from 'protobufjs';

import { FormatError } from '../errors';
import { optionalPackage } from '../io/optional-package';

export interface ModelProto {
  irVersion?: number;
  opsetImport?: { domain?: string; version?: number }[];
  producerName?: string;
  producerVersion?: string;
  graph?: GraphProto;
  metadataProps?: StringPair[];
  functions?: FunctionProto[];
}

export interface GraphProto {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  sparseInitializer?: object[];
  docString?: string;
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
}

export interface NodeProto {
  /** An optional input that is left out is ''. */
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  domain?: string;
  /** Tells functions of one name apart. */
  overload?: string;
  attribute?: AttributeProto[];
}

/** `type` says which of the others holds the value. */
export interface AttributeProto {
  name?: string;
  /** In the body of a function: the function's attribute whose value it takes. */
  refAttrName?: string;
  type?: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
  tensors?: TensorProto[];
  graphs?: GraphProto[];
}

export interface TensorProto {
  name?: string;
  dims?: number[];
  dataType?: number;
  rawData?: Uint8Array;
  floatData?: number[];
  /** Also of int16, int8, uint16, uint8, bool, and of float16 and bfloat16 as their bits. */
  int32Data?: number[];
  int64Data?: number[];
  doubleData?: number[];
  /** Also of uint32. */
  uint64Data?: number[];
  stringData?: Uint8Array[];
  /** `location`, `offset` and `length`, where `dataLocation` is 1. */
  externalData?: StringPair[];
  dataLocation?: number;
}

export interface ValueInfoProto {
  name?: string;
  type?: TypeProto;
}

export interface TypeProto {
  tensorType?: { elemType?: number; shape?: { dim?: Dimension[] } };
  sequenceType?: { elemType?: TypeProto };
  optionalType?: { elemType?: TypeProto };
}

/** A size, or the name of one that is not known before the model runs. */
export interface Dimension {
  dimValue?: number;
  dimParam?: string;
}

export interface FunctionProto {
  name?: string;
  domain?: string;
  overload?: string;
  input?: string[];
  output?: string[];
  attribute?: string[];
  /** Attributes with defaults. */
  attributeProto?: AttributeProto[];
  node?: NodeProto[];
  opsetImport?: { domain?: string; version?: number }[];
}

export interface StringPair {
  key?: string;
  value?: string;
}

/** What AttributeProto's `type` means. */
export const AttributeType = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
} as const;

/** Fields as `number type`; a type that ends in [] repeats. */
const schema = {
  ModelProto: {
    irVersion: '1 int64',
    producerName: '2 string',
    producerVersion: '3 string',
    graph: '7 GraphProto',
    opsetImport: '8 OperatorSetIdProto[]',
    metadataProps: '14 StringStringEntryProto[]',
    functions: '25 FunctionProto[]',
  },
  OperatorSetIdProto: { domain: '1 string', version: '2 int64' },
  StringStringEntryProto: { key: '1 string', value: '2 string' },
  GraphProto: {
    node: '1 NodeProto[]',
    name: '2 string',
    initializer: '5 TensorProto[]',
    docString: '10 string',
    input: '11 ValueInfoProto[]',
    output: '12 ValueInfoProto[]',
    valueInfo: '13 ValueInfoProto[]',
    sparseInitializer: '15 SparseTensorProto[]',
  },
  NodeProto: {
    input: '1 string[]',
    output: '2 string[]',
    name: '3 string',
    opType: '4 string',
    attribute: '5 AttributeProto[]',
    domain: '7 string',
    overload: '8 string',
  },
  AttributeProto: {
    name: '1 string',
    f: '2 float',
    i: '3 int64',
    s: '4 bytes',
    t: '5 TensorProto',
    g: '6 GraphProto',
    floats: '7 float[]',
    ints: '8 int64[]',
    strings: '9 bytes[]',
    tensors: '10 TensorProto[]',
    graphs: '11 GraphProto[]',
    type: '20 int32',
    refAttrName: '21 string',
  },
  TensorProto: {
    dims: '1 int64[]',
    dataType: '2 int32',
    floatData: '4 float[]',
    int32Data: '5 int32[]',
    stringData: '6 bytes[]',
    int64Data: '7 int64[]',
    name: '8 string',
    rawData: '9 bytes',
    doubleData: '10 double[]',
    uint64Data: '11 uint64[]',
    externalData: '13 StringStringEntryProto[]',
    dataLocation: '14 int32',
  },
  SparseTensorProto: { dims: '3 int64[]' },
  ValueInfoProto: { name: '1 string', type: '2 TypeProto' },
  TypeProto: { tensorType: '1 TensorType', sequenceType: '4 ElementType', optionalType: '9 ElementType' },
  TensorType: { elemType: '1 int32', shape: '2 TensorShapeProto' },
  ElementType: { elemType: '1 TypeProto' },
  TensorShapeProto: { dim: '1 Dimension[]' },
  Dimension: { dimValue: '1 int64', dimParam: '2 string' },
  FunctionProto: {
    name: '1 string',
    input: '4 string[]',
    output: '5 string[]',
    attribute: '6 string[]',
    node: '7 NodeProto[]',
    opsetImport: '9 OperatorSetIdProto[]',
    domain: '10 string',
    attributeProto: '11 AttributeProto[]',
    overload: '13 string',
  },
};

let model: Protobuf.Type | undefined;

/** The type of a model, of the package protobufjs. */
function modelType(op: string): Protobuf.Type {
  if (model !== undefined) return model;
  const { Root } = optionalPackage<typeof Protobuf>(op, 'protobufjs');
  const nested = Object.fromEntries(
    Object.entries(schema).map(([message, fields]) => [
      message,
      {
        fields: Object.fromEntries(
          Object.entries(fields).map(([field, text]) => {
            const [id, type] = text.split(' ') as [string, string];
            const repeated = type.endsWith('[]');
            return [
              field,
              { id: Number(id), type: type.replace('[]', ''), ...(repeated && { rule: 'repeated' as const }) },
            ];
          }),
        ),
      },
    ]),
  );
  return (model = Root.fromJSON({ nested }).lookupType('ModelProto'));
}

/**
 * The model in the bytes of a file.
 *
 * @throws FormatError when the bytes are no messages; HadalError when protobufjs is not installed.
 */
export function decodeModel(op: string, file: string, bytes: Uint8Array): ModelProto {
  const type = modelType(op);
  try {
    return type.toObject(type.decode(bytes), { longs: Number });
  } catch (error) {
    throw new FormatError(
      `${op}: ${file}: cannot be decoded: got ${(error as Error).message}, expected an ONNX model`,
      { file },
    );
  }
}

/** The bytes of a file with that model. */
export function encodeModel(op: string, value: ModelProto): Uint8Array {
  const type = modelType(op);
  return type.encode(type.fromObject(value)).finish();
}
