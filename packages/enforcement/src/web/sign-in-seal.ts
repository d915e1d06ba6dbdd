import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { Challenge } from '@countersign/model';
import { LIMITS } from '../limits.ts';

/** A sign-in that a browser began; its cookie keeps it, so that strangers who begin ever more fill no memory of ours. */
export interface SignIn {
  /** RFC 9700 §4.7.1 */
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636 */
  readonly verifier: string;
  /** A path of the application. */
  readonly returnTo: string;
  /** What the session lacked that was there. */
  readonly challenge?: Challenge | undefined;
  /** Whether it was begun by itself, after one that the issuer had forgotten. */
  readonly isAgain: boolean;
  readonly untilMs: number;
}

/** Encrypts what only this process reads again. */
export interface SignInSeal {
  seal(signIn: SignIn): { readonly tag: string; readonly value: string };
  /** Nothing for what this process did not make for this very state, and for what waited too long. */
  open(value: string, state: string, nowMs: number): SignIn | undefined;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** With a key that is in this process's memory alone: after a restart a sign-in that waits is begun again. */
export function createSignInSeal(audience: string): SignInSeal {
  const key = randomBytes(32);
  const aad = (state: string) => Buffer.from(`${audience}\n${state}`, 'utf8');
  return {
    seal(signIn) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      cipher.setAAD(aad(signIn.state));
      const sealed = Buffer.concat([cipher.update(JSON.stringify(signIn), 'utf8'), cipher.final()]);
      const value = Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
      return { tag: tagOf(signIn.state), value };
    },
    open(value, state, nowMs) {
      const bytes = Buffer.from(value, 'base64url');
      if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
        decipher.setAAD(aad(state));
        decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        const plain = Buffer.concat([
          decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)),
          decipher.final(),
        ]);
        const signIn = JSON.parse(plain.toString('utf8')) as SignIn;
        return nowMs < signIn.untilMs ? signIn : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** Which cookie belongs to a state; it tells nothing of it. */
export function tagOf(state: string): string {
  return createHash('sha256').update(state).digest('base64url').slice(0, 16);
}

/** States that came back, so that each does once; bound: {@link LIMITS}.usedSignIns, then the oldest goes: its code is used up. */
export function createUsedStates(): { use(tag: string): boolean } {
  const used = new Set<string>();
  return {
    use(tag) {
      if (used.has(tag)) return false;
      if (used.size >= LIMITS.usedSignIns) {
        const [oldest] = used;
        if (oldest !== undefined) used.delete(oldest);
      }
      used.add(tag);
      return true;
    },
  };
}
