/**
 * Replacing a file so that nobody ever finds half of it: not a reader, not after a crash, not when the disk is full.
 * It owns the temporary file and the order of syncs; what goes into the file is the caller's (safetensors, reports).
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, open, readdir, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HadalError } from '../errors';
import { checkPath, refusal } from './paths';

/**
 * Writes a new file and puts it in the place of `path` in one step. `op` begins the message of an error.
 *
 * `write` fills a temporary file in the same folder; then the file is synced, renamed over `path`, and the folder is
 * synced. Whatever fails or is thrown, the temporary file is removed and the previous file stays as it was. Writers
 * that run at the same time each have their own temporary file; the last to finish wins. Permissions of a replaced file
 * are kept, and a symbolic link is followed. Failures of the system (a full disk) are `HadalError`s with the system's
 * `code` (`ENOSPC`). Only a killed process leaves a temporary file behind (`.hadal-<machine>-<process>-<16 hex digits>.tmp`); the next writer
 * in that folder removes it.
 */
export async function replaceFile(op: string, path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  checkPath(op, path);
  try {
    await writeAndRename(op, path, write);
  } catch (error) {
    throw refusal(op, path, error);
  }
}

async function writeAndRename(op: string, path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const target = await realpath(path).catch(unlessMissing(path));
  const previous = await stat(target).catch(unlessMissing(undefined));
  if (previous?.isFile() === false) {
    throw new HadalError(`${op}: ${path}: it exists and is not a regular file`, { file: path }, 'EEXIST');
  }
  const folder = dirname(target);
  // The name does not contain the target's, which may already be as long as a name can be.
  await removeStale(folder);
  const temporary = join(folder, `.hadal-${machine}-${process.pid}-${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx');
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    if (previous) await chmod(temporary, previous.mode & 0o7777);
    await renameOver(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
}

/**
 * Renames a file, over another if there is one. Windows refuses that while anybody has the other open (a writer that renames too, a reader, a
 * search for viruses): it is tried again for two seconds.
 */
export async function renameOver(from: string, to: string): Promise<void> {
  for (let wait = 1; ; wait *= 2) {
    try {
      return await rename(from, to);
    } catch (error) {
      const isOpen = ['EPERM', 'EACCES', 'EBUSY'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (process.platform !== 'win32' || !isOpen || wait > 1024) throw error;
    }
    await sleep(wait);
  }
}

const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const temporaryName = /^\.hadal-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.tmp$/;
const STALE_AFTER_MS = 3_600_000;

/**
 * Removes what killed writers left: temporary files of this machine's processes that are gone. Whether another machine's writer lives, or its
 * number means another process by now, only the file's age can tell: a writer at work touches its file.
 */
async function removeStale(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []); // a folder that may not be listed, or none: what follows says so
  for (const name of names) {
    const [, where, pid] = temporaryName.exec(name) ?? [];
    if (where === undefined || (where === machine && Number(pid) === process.pid)) continue;
    const path = join(folder, name);
    const isAbandoned =
      (where === machine && !isRunning(Number(pid))) ||
      (await stat(path).then(
        ({ mtimeMs }) => mtimeMs < Date.now() - STALE_AFTER_MS,
        () => false,
      ));
    if (isAbandoned) await unlink(path).catch(() => undefined); // another writer may have been faster
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Writes all of `bytes` at the file's current position; `FileHandle.write` may write less than it is given. */
export async function writeFully(file: FileHandle, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  // One call writes at most 2 GiB on Linux; a smaller piece lets an abort be noticed.
  const piece = 64 * 2 ** 20;
  for (let start = 0; start < bytes.byteLength;) {
    signal?.throwIfAborted();
    const { bytesWritten } = await file.write(bytes, start, Math.min(piece, bytes.byteLength - start));
    start += bytesWritten;
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // cannot open folders; NTFS journals the rename
  const handle = await open(folder, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') return undefined; // a folder that may be written but not listed
    throw error;
  });
  try {
    await handle?.sync();
  } catch (error) {
    // Some network file systems cannot sync a folder.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    await handle?.close();
  }
}

function unlessMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
