// The reservations of one network: a directory with a file for each address, whose content is the owner. The Go plugin
// reads and writes the same directory at the same time, so names, contents, modes and the lock are its own:
//
//   lock                  empty; flock(2) on it while working
//   last_reserved_ip.<N>  the address range set N gave last; "" or junk only loses the round robin's place
//   10.244.1.7            "<containerID>\r\n<ifName>"; that the file exists means taken, whatever it holds
//
// Methods that need the lock exist only while it is held.
import { takeLock } from "../../lib/cni/lock.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno, type SystemError } from "../../lib/host/errno.ts";
import type { FileLock, Host, PreparedFile } from "../../lib/host/host.ts";
import { formatIp, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { namedOwner, parseOwner, type Owner } from "./owner.ts";

const directoryMode = 0o755;
const lockMode = 0o750;
const fileMode = 0o600;
/** No file of ours is longer: an owner is a container id and the name of an interface. */
const maxBytes = 4096;

/** How addresses begin, and no other file here. */
const addressBeginnings = "0123456789abcdefABCDEF:";

const isBrokenDisk = (error: unknown): error is SystemError => isErrno(error, "EIO", "EBADMSG", "EUCLEAN");

/** An address that is taken. */
export interface Holding {
  /** The file's name; a person may have written the address in another form than ours. */
  readonly name: string;
  readonly ip: Ip;
  readonly owner: Owner;
  /** When the owner was written, by the wall clock of that time. */
  readonly writtenMs: number;
}

/** What may be looked at without the lock: right at some time during the look. A store that is not there is empty. */
export interface StoreView {
  /** The names of all files, addresses or not. */
  names(): readonly string[];
  /** Who holds the address of this name. Undefined where the name is no address, and where nobody does by now. Throws where the disk does not say. */
  holding(name: string): Holding | undefined;
  /** Everything that is held, be it "unreadable" by whom. Reads every file: for questions that come up rarely. */
  holdings(): Holding[];
}

export interface LockedStore extends StoreView {
  /** Gives the prepared reservation this address; false when the address is taken. */
  reserve(reservation: PreparedFile, ip: Ip): boolean;
  /** The address a range set gave last; undefined where that is not known. */
  lastReserved(rangeSet: number): Ip | undefined;
  /** Remembers the round robin's place. */
  setLastReserved(rangeSet: number, ip: Ip): void;
  /** What an attachment holds; also what very old plugins wrote, with the container id alone. */
  heldBy(attachment: Attachment): Holding[];
  /** Gives an address up; fine where nobody holds it. */
  free(name: string): void;
}

export interface ReservationStore extends StoreView {
  /**
   * A reservation for this attachment, complete and synced, that has no address yet. Makes the directory where it is
   * missing. For outside of the lock: a slow disk should hold up nobody else.
   */
  prepare(attachment: Attachment): PreparedFile;
  /**
   * Runs `body` while holding the lock. Throws a CniError (11) when another process holds it too long. A store that was
   * opened without `create` and has no lock file was never written to by a plugin: then there is nothing to wait for.
   */
  locked<T>(body: (store: LockedStore) => T): T;
}

/** The store in a directory. Without `create` nothing is ever made: not the directory, not its lock. */
export const openStore = (host: Host, directory: string, { create }: { readonly create: boolean }): ReservationStore =>
  new DirectoryStore(host, directory, create);

/** With its lock and without: only whom `locked` calls sees it as a LockedStore. */
class DirectoryStore implements ReservationStore, LockedStore {
  readonly #host: Host;
  readonly #directory: string;
  readonly #create: boolean;

  constructor(host: Host, directory: string, create: boolean) {
    this.#host = host;
    this.#directory = directory;
    this.#create = create;
  }

  names(): string[] {
    return this.#listed(() => this.#host.files.list(this.#directory));
  }

  /** A fault that passes is none. */
  holding(name: string): Holding | undefined {
    const ip = parseIp(name);
    if (ip === undefined) return undefined;
    try {
      return this.#lookAt(name, ip);
    } catch (error) {
      if (!isBrokenDisk(error)) throw error;
      return this.#lookAt(name, ip);
    }
  }

  holdings(): Holding[] {
    return this.#holdingsIn(this.names());
  }

  prepare({ containerId, ifName }: Attachment): PreparedFile {
    const { files } = this.#host;
    const make = () => files.prepare(this.#directory, `${containerId}\r\n${ifName}`, fileMode);
    try {
      return make();
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      files.makeDirectory(this.#directory, directoryMode);
      return make();
    }
  }

  locked<T>(body: (store: LockedStore) => T): T {
    const lock = this.#lockIfThere();
    try {
      return body(this);
    } finally {
      lock?.release();
    }
  }

  reserve(reservation: PreparedFile, ip: Ip): boolean {
    return reservation.publish(this.#pathOf(formatIp(ip)));
  }

  lastReserved(rangeSet: number): Ip | undefined {
    try {
      return parseIp(this.#host.files.read(this.#lastReservedPath(rangeSet), maxBytes));
    } catch (error) {
      if (!isErrno(error, "ENOENT"))
        this.#host.log(`host-local: ${(error as Error).message}: starting at the beginning of the range`);
      return undefined;
    }
  }

  setLastReserved(rangeSet: number, ip: Ip): void {
    this.#host.files.write(this.#lastReservedPath(rangeSet), formatIp(ip), fileMode);
  }

  heldBy({ containerId, ifName }: Attachment): Holding[] {
    const naming = this.#listed(() => this.#host.files.containing(this.#directory, containerId, addressBeginnings));
    return this.#holdingsIn(naming).filter(({ owner }) => {
      const named = namedOwner(owner);
      return named?.containerId === containerId && (named.ifName ?? ifName) === ifName;
    });
  }

  free(name: string): void {
    this.#host.files.remove(this.#pathOf(name));
  }

  #pathOf(name: string): string {
    return `${this.#directory}/${name}`;
  }

  #lastReservedPath(rangeSet: number): string {
    return this.#pathOf(`last_reserved_ip.${rangeSet}`);
  }

  #lockIfThere(): FileLock | undefined {
    try {
      return takeLock(this.#host, this.#pathOf("lock"), { mode: lockMode, create: this.#create });
    } catch (error) {
      if (this.#create || !isErrno(error, "ENOENT", "ENOTDIR")) throw error;
      return undefined;
    }
  }

  #lookAt(name: string, ip: Ip): Holding | undefined {
    const { files } = this.#host;
    const stat = files.stat(this.#pathOf(name));
    if (stat === undefined) return undefined;
    const { kind, size, mtimeMs: writtenMs } = stat;
    if (kind !== "file") return { name, ip, owner: "no file", writtenMs };
    if (size > maxBytes) return { name, ip, owner: "nobody", writtenMs };
    try {
      return { name, ip, owner: parseOwner(files.read(this.#pathOf(name), maxBytes)), writtenMs };
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
  }

  /** One file that a broken disk does not give back is not the end of the network: it takes its address, and no more. */
  #holdingsIn(names: readonly string[]): Holding[] {
    return names.flatMap((name) => {
      try {
        return this.holding(name) ?? [];
      } catch (error) {
        const ip = parseIp(name);
        if (ip === undefined || !isBrokenDisk(error)) throw error;
        this.#host.log(`host-local: ${error.message}: for whom this file takes its address is not known`);
        return { name, ip, owner: "unreadable" as const, writtenMs: Infinity };
      }
    });
  }

  /** What lists a directory, of one that may not be there. */
  #listed(list: () => string[]): string[] {
    try {
      return list();
    } catch (error) {
      if (!this.#create && isErrno(error, "ENOENT", "ENOTDIR")) return [];
      throw error;
    }
  }
}
