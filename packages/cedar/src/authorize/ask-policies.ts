import type { CompiledPolicy } from '../compile/compile-policy.ts';
import type { Frame } from '../compile/frame.ts';
import type { PolicyIndex, ResourceFiles } from './policy-index.ts';
import { Verdict } from './verdict.ts';

/** Asks the policies whose scope the request meets, found through the index. */
export function askIndexed(index: PolicyIndex, frame: Frame): Verdict {
  const verdict = new Verdict();
  const { principal, resource } = frame;
  const files = index.filesFor(frame.action, principal.type, resource.type);
  askFor(files.any, frame, verdict);
  if (files.equal.size > 0) {
    const equal = files.equal.get(principal);
    if (equal) askFor(equal, frame, verdict);
  }
  if (files.within.size > 0) {
    // `in` is reflexive.
    const own = files.within.get(principal);
    if (own) askFor(own, frame, verdict);
    frame.view.someAncestor(principal, (key) => {
      const within = files.within.getByKey(key);
      if (within) askFor(within, frame, verdict);
      return false;
    });
  }
  return verdict;
}

function askFor(files: ResourceFiles, frame: Frame, verdict: Verdict): void {
  const { resource } = frame;
  verdict.ask(files.any, frame);
  if (files.equal.size > 0) {
    const equal = files.equal.get(resource);
    if (equal) verdict.ask(equal, frame);
  }
  if (files.within.size > 0) {
    const own = files.within.get(resource);
    if (own) verdict.ask(own, frame);
    frame.view.someAncestor(resource, (key) => {
      const within = files.within.getByKey(key);
      if (within) verdict.ask(within, frame);
      return false;
    });
  }
}

/** Asks every policy in turn: what the index must agree with. */
export function askAll(policies: readonly CompiledPolicy[], frame: Frame): Verdict {
  const verdict = new Verdict();
  verdict.ask(
    policies.filter((policy) => policy.inScope(frame)),
    frame,
  );
  return verdict;
}
