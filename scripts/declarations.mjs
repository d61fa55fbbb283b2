// What the generated lists of docs/ say of the library's exports, read from the sources: names, signatures, sentences.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));

const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  strict: true,
};
const program = ts.createProgram([join(root, 'lib/index.ts')], compilerOptions);
const checker = program.getTypeChecker();

/**
 * The functions and classes that a file of lib/ exports, in order and with a comment: name, kind, signature, first sentence, and family, which is
 * the title of the file that declares it. Other files that it exports as a whole are of the kind `namespace`.
 */
export function exportsOf(path) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(root, path)));
  return checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const { name } = exported;
    // Overloads come before the implementation; the comment stands at the first.
    const declaration = symbol.declarations?.find((one) => ts.isFunctionDeclaration(one) || ts.isClassDeclaration(one));
    if (declaration === undefined) return [];
    const comment = ts.displayPartsToString(symbol.getDocumentationComment(checker));
    const sentence = firstSentence(comment.replace(/\s+/g, ' '));
    if (sentence === '' || symbol.getJsDocTags().some((tag) => tag.name === 'internal')) return [];
    const kind = ts.isClassDeclaration(declaration) ? 'class' : 'function';
    const family = familyOf(declaration.getSourceFile());
    return [{ name, kind, signature: signatureOf(name, symbol, declaration), sentence, family }];
  });
}

/** What {@link exportsOf} answers, by family. */
export function byFamily(members) {
  const families = new Map();
  for (const member of members) families.set(member.family, [...(families.get(member.family) ?? []), member]);
  return families;
}

/** A call as users write it; of a class that is made by functions alone its name. */
function signatureOf(name, symbol, declaration) {
  if (!ts.isClassDeclaration(declaration))
    return `${name}(${declaration.parameters.map((p) => parameterOf(p)).join(', ')})`;
  const type = checker.getTypeOfSymbolAtLocation(symbol, declaration);
  const [signature] = type.getConstructSignatures();
  if (declaration.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AbstractKeyword) || isInternal(signature))
    return name;
  return `new ${name}(${signature.parameters.map((p) => parameterOf(p.valueDeclaration, checker.getTypeOfSymbol(p))).join(', ')})`;
}

const isInternal = (signature) => signature.getJsDocTags().some(({ name }) => name === 'internal');

function parameterOf(parameter, type = checker.getTypeAtLocation(parameter)) {
  const name = parameter.name.getText();
  const isOptional = parameter.questionToken !== undefined || parameter.initializer !== undefined;
  if (parameter.dotDotDotToken !== undefined) return `...${name}`;
  if (!/^(options|\{)/.test(name)) return isOptional ? `${name}?` : name;
  const fields = checker.getPropertiesOfType(checker.getNonNullableType(type)).map((property) => property.name);
  return `{ ${fields.join(', ')} }${isOptional ? '?' : ''}`;
}

/**
 * Who takes an object of options, and the names in it, with `?` behind those that are true or false: exported functions and classes of all namespaces,
 * and their methods as `Class.method`.
 */
export function optionNames() {
  const found = new Map();
  const add = (taker, signatures) => {
    const parameters = signatures.flatMap((signature) => signature.parameters);
    for (const parameter of parameters.filter(({ name }) => /^(options|call)$/.test(name))) {
      const type = checker.getNonNullableType(checker.getTypeOfSymbol(parameter));
      const types = type.isUnion() ? type.types : [type];
      const names = types.flatMap((one) => checker.getPropertiesOfType(one).map(optionOf));
      found.set(taker, [...new Set([...(found.get(taker) ?? []), ...names])]);
    }
  };
  const visit = (module) => {
    for (const exported of checker.getExportsOfModule(module)) {
      const { name } = exported;
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (symbol.flags & ts.SymbolFlags.Module) visit(symbol);
      if (!(symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Class))) continue;
      const type = checker.getTypeOfSymbol(symbol);
      const made = type.getConstructSignatures().filter(({ declaration }) => isPublic(declaration));
      add(name, [...type.getCallSignatures(), ...made]);
      for (const member of symbol.declarations.find(ts.isClassDeclaration)?.members ?? []) {
        if (!ts.isMethodDeclaration(member) || !isPublic(member)) continue;
        add(`${name}.${member.name.getText()}`, [checker.getSignatureFromDeclaration(member)]);
      }
    }
  };
  visit(checker.getSymbolAtLocation(program.getSourceFile(join(root, 'lib/index.ts'))));
  return found;
}

function optionOf(property) {
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(property));
  const own = type.flags & ts.TypeFlags.TypeParameter ? (checker.getBaseConstraintOfType(type) ?? type) : type;
  const types = own.isUnion() ? own.types : [own];
  return types.every(({ flags }) => flags & ts.TypeFlags.BooleanLike) ? `${property.name}?` : property.name;
}

/** Whether users may call a member; a constructor that is not written is undefined. */
function isPublic(member) {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return (
    !member || !((member.name && ts.isPrivateIdentifier(member.name)) || ts.getCombinedModifierFlags(member) & hidden)
  );
}

function firstSentence(text) {
  const links = text.replace(/\{@link (\w+)\}/g, '`$1`');
  const ends = [...links.matchAll(/[.:;](?= [A-Z`{]|$)/g)].map(({ index }) => links.slice(0, index));
  const isWhole = (sentence) => sentence.split('(').length === sentence.split(')').length;
  return (ends.find(isWhole) ?? links).replaceAll('|', '\\|');
}

/** What a file says it owns, up to the first stop. */
function familyOf(file) {
  const opening = /^\/\*\*([^]*?)\*\//.exec(file.text)?.[1] ?? '';
  return opening
    .replace(/^\s*\* ?/gm, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .split(/[:.;] |\.$/)[0];
}

/** Writes a file of docs/, or with --check complains when it is stale. Answers the exit status. */
export function writeOrCheck(path, wanted) {
  const target = join(root, path);
  if (!process.argv.includes('--check')) writeFileSync(target, wanted);
  else if (wanted !== readFileSync(target, 'utf8')) {
    console.error(`${path} does not match the sources: run \`npm run generate\``);
    return 1;
  }
  return 0;
}
