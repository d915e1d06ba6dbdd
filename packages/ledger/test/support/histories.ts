import {
  consistencyProof,
  encodeAddCheckpoint,
  formatCheckpoint,
  MerkleTree,
  rootAt,
  signNote,
} from '@countersign/ledger';
import { entry, ORIGIN, signer } from './sample-log.ts';

/** A log whose key signs whatever it is asked to: one of several histories under one key. */
export class History {
  readonly tree = new MerkleTree();
  readonly name: string;

  /** @param forkAt entries below are the same in every history */
  constructor(name: string, { size, forkAt }: { size: number; forkAt: number }) {
    this.name = name;
    for (let at = 0; at < size; at++) {
      this.tree.append(at < forkAt ? entry(at) : Buffer.from(`${name} ${at}`));
    }
  }

  root(size: number): Uint8Array {
    return rootAt(this.tree, size);
  }

  checkpoint(size: number): Promise<string> {
    return signNote(formatCheckpoint({ origin: ORIGIN, size, root: this.root(size) }), signer);
  }

  proof(from: number, to: number): Uint8Array[] {
    return consistencyProof(this.tree, { from, to });
  }

  /** The body that shows this history's tree of `size` to whoever saw the one of `oldSize`. */
  async request(oldSize: number, size: number): Promise<Buffer> {
    const proof = oldSize <= size ? this.proof(oldSize, size) : [];
    const checkpoint = await this.checkpoint(size);
    return Buffer.from(encodeAddCheckpoint({ oldSize, proof, checkpoint }));
  }
}
