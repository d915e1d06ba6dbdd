import { RESERVED_PATH } from '@countersign/policy';
import { readRequestTarget } from '../describe/request-target.ts';

/** Longer ones would fill the cookie that keeps it. */
const CHARACTERS_MAX = 1000;

/**
 * Where a person goes on after signing in: a path of this application and nothing else. What is anything else, or could be
 * read as anything else by somebody (`//evil`, `/\evil`, an encoded one), is the start page.
 */
export function returnTarget(asked: string | undefined): string {
  if (asked === undefined || asked.length > CHARACTERS_MAX) return '/';
  const target = readRequestTarget(asked);
  if (target.kind === 'ambiguous' || isReserved(target.path)) return '/';
  return asked;
}

/** Whether a target is the point's own, and never the application's; read as loosely as anybody might. */
export function isReserved(target: string): boolean {
  const [path = ''] = target.split(/[?#;]/, 1);
  const lower = path.toLowerCase();
  return lower === RESERVED_PATH || lower.startsWith(`${RESERVED_PATH}/`);
}

/** The path of the page that a request came from, where that is one of this application. */
export function pageOf(referer: string | undefined, origin: string): string {
  const url = referer === undefined ? null : URL.parse(referer);
  return url?.origin === origin ? returnTarget(`${url.pathname}${url.search}`) : '/';
}
