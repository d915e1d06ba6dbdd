import { Worker } from 'node:worker_threads';
import { LedgerError, type LedgerErrorCode } from '@countersign/ledger';
import { AuditError, type AuditErrorCode } from '../audit-error.ts';
import type { LogSource } from './log-index.ts';
import type { Question } from './question.ts';
import type {
  Answer,
  AskOptions,
  Completeness,
  IndexProgress,
  IndexStatus,
  PageRequest,
  RecordIndex,
  VerifyAnswerOptions,
} from './record-index.ts';
import type { ThreadCall, ThreadError, ThreadReply } from './thread-message.ts';

/** Questions and other calls that may be under way at a time; one more is refused. */
const CALLS_MAX = 64;

/**
 * Starts an index in a thread of its own, so that indexing and answering never hold up this one: it reads the
 * logs' files by itself, and is told only how far they go.
 */
export function startRecordIndex(): RecordIndex {
  return new ThreadRecordIndex();
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: IndexProgress) => void) | undefined;
}

class ThreadRecordIndex implements RecordIndex {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  /** Why the thread is gone. */
  #ended: string | undefined;
  #closing: Promise<void> | undefined;

  constructor() {
    // Node rewrites no URL: this file is `.ts` in the repository and `.js` where it was built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./index-worker.${extension}`, import.meta.url), {
      name: 'countersign-record-index',
    });
    // An index that is idle keeps no process alive.
    this.#worker.unref();
    this.#worker.on('message', (reply: ThreadReply) => this.#take(reply));
    this.#worker.on('error', (error) => this.#end(error instanceof Error ? error.message : ''));
    this.#worker.on('exit', () => this.#end('found its thread ended'));
  }

  follow(source: LogSource, size: number): void {
    this.#post({ kind: 'follow', source, size });
  }

  ask(question: Question, page: PageRequest, options: AskOptions = {}): Promise<Answer> {
    return this.#call((id) => ({ kind: 'ask', id, question, page }), options);
  }

  verify(question: Question, options: VerifyAnswerOptions = {}): Promise<Completeness> {
    const { checkpoints } = options;
    return this.#call(
      (id) => ({ kind: 'verify', id, question, ...(checkpoints && { checkpoints }) }),
      options,
    );
  }

  forget(name: string): Promise<void> {
    return this.#call((id) => ({ kind: 'forget', id, name }));
  }

  status(): Promise<readonly IndexStatus[]> {
    return this.#call((id) => ({ kind: 'status', id }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#call<void>((id) => ({ kind: 'close', id }))
      .catch(() => undefined)
      .then(async () => {
        await this.#worker.terminate();
      });
    return this.#closing;
  }

  #call<T>(call: (id: number) => ThreadCall, options: AskOptions = {}): Promise<T> {
    const { onProgress, signal } = options;
    if (this.#waiting.size >= CALLS_MAX) {
      const found = `found ${CALLS_MAX} questions under way, expected fewer`;
      return Promise.reject(new AuditError('ERR_AUDIT_QUESTION', `cannot answer: ${found}`));
    }
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#gone());
        return;
      }
      this.#waiting.set(id, { resolve, reject, onProgress });
      signal?.addEventListener('abort', () => this.#post({ kind: 'abort', id }), { once: true });
      // What is waited for keeps the process alive.
      this.#worker.ref();
      this.#post(call(id));
    }) as Promise<T>;
  }

  #post(call: ThreadCall): void {
    if (this.#ended === undefined) this.#worker.postMessage(call);
  }

  #take(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    if (reply.kind === 'progress') {
      waiting?.onProgress?.(reply.progress);
      return;
    }
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (reply.kind === 'done') waiting?.resolve(reply.value);
    else waiting?.reject(fromThread(reply.error));
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#gone());
    this.#waiting.clear();
  }

  #gone(): AuditError {
    return new AuditError('ERR_AUDIT_INDEX_FAILED', `could not ask the index: ${this.#ended}`);
  }
}

function fromThread({ message, code }: ThreadError): Error {
  if (code?.startsWith('ERR_AUDIT_')) return new AuditError(code as AuditErrorCode, message);
  if (code?.startsWith('ERR_LEDGER_')) return new LedgerError(code as LedgerErrorCode, message);
  return new Error(message);
}
