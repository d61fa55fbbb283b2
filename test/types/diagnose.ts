/**
 * Runs the TypeScript compiler over type tests and compares its errors with those that the files announce: a line that ends in
 * `// error: <text>` has exactly one error, whose message contains the text; every other line has none.
 */
import { readFileSync } from 'node:fs';
import { join, sep } from 'node:path';

import ts from 'typescript';

const root = join(__dirname, '../..');

/** The project's compiler options. */
export function compilerOptions(): ts.CompilerOptions {
  const { config, error } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: unknown;
    error?: ts.Diagnostic;
  };
  if (error !== undefined) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, '\n'));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  return { ...options, noEmit: true, noErrorTruncation: true };
}

/** Parsed files, so that the standard library is parsed once for all programs. */
const parsed = new Map<string, ts.SourceFile>();

/** A program over `files`. Where `replaced` has a text for a path, that is read and not the file. */
export function createProgram(files: readonly string[], replaced: ReadonlyMap<string, string> = new Map()): ts.Program {
  const options = compilerOptions();
  // The compiler's paths have slashes everywhere.
  const texts = new Map([...replaced].map(([path, text]) => [path.replaceAll(sep, '/'), text]));
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = texts.get(path);
    if (text !== undefined) return ts.createSourceFile(path, text, languageVersion);
    const source = parsed.get(path) ?? getSourceFile(path, languageVersion, ...rest);
    if (source !== undefined) parsed.set(path, source);
    return source;
  };
  return ts.createProgram(files, options, host);
}

/** How the errors in `file` differ from those it announces; empty when they do not. */
export function differences(program: ts.Program, file: string): string[] {
  const source = program.getSourceFile(file);
  if (source === undefined) throw new Error(`${file} is not part of the program`);
  const announced = new Map<number, string>();
  for (const [index, line] of source.text.split('\n').entries()) {
    const text = /\/\/ error: (.*)$/.exec(line)?.[1];
    if (text !== undefined) announced.set(index, text);
  }
  const found = new Map<number, string[]>();
  for (const diagnostic of [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]) {
    const line = source.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line;
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n');
    found.set(line, [...(found.get(line) ?? []), message]);
  }
  const result: string[] = [];
  for (const line of [...new Set([...announced.keys(), ...found.keys()])].sort((a, b) => a - b)) {
    const text = announced.get(line);
    const messages = found.get(line) ?? [];
    if (text === undefined) result.push(`line ${line + 1}: unexpected: ${messages.join('\n')}`);
    else if (messages.length === 0) result.push(`line ${line + 1}: no error, expected: ${text}`);
    else if (messages.length > 1)
      result.push(`line ${line + 1}: ${messages.length} errors, expected one: ${messages.join('\n')}`);
    else if (!messages[0]!.includes(text)) result.push(`line ${line + 1}: expected: ${text}\ngot: ${messages[0]!}`);
  }
  return result;
}
