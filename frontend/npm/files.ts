// Files that come in by a drop or a file chooser, folders included, and files that go out as a download.

type Incoming = { path: string; bytes: Uint8Array };

/// Files that nobody means to put into a bundle.
const LEFT_OUT = /(^|\/)(\.git|node_modules|\.DS_Store|Thumbs\.db)(\/|$)/;

async function incoming(path: string, file: File): Promise<Incoming> {
  return { path, bytes: new Uint8Array(await file.arrayBuffer()) };
}

async function walk(entry: FileSystemEntry, path: string): Promise<Incoming[]> {
  if (LEFT_OUT.test(path)) return [];
  if (entry.isFile) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    return [await incoming(path, file)];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Incoming[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (batch.length === 0) return found;
    for (const child of batch) found.push(...(await walk(child, `${path}/${child.name}`)));
  }
}

/// The names of a definition's file.
const DEFINITION = /^(docker-)?compose\.ya?ml$/;

/// One folder that holds everything, a definition among it, is the bundle itself, not a part of its paths. One without a
/// definition is a folder of the bundle.
function withoutCommonFolder(files: Incoming[]): Incoming[] {
  const folder = files[0]?.path.split("/")[0];
  const common = files.length > 0 && files.every((file) => file.path.startsWith(`${folder}/`));
  if (!common) return files;
  const inside = files.map((file) => ({ ...file, path: file.path.slice(folder.length + 1) }));
  return inside.some((file) => DEFINITION.test(file.path)) ? inside : files;
}

export async function filesOfDrop(event: DragEvent): Promise<Incoming[]> {
  const items = [...(event.dataTransfer?.items ?? [])];
  // The list is emptied when the handler returns: take every entry before the first await.
  const taken = items.map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found: Incoming[] = [];
  for (const { entry, file } of taken) {
    if (entry) found.push(...(await walk(entry, entry.name)));
    else if (file) found.push(await incoming(file.name, file));
  }
  return withoutCommonFolder(found);
}

export async function filesOfInput(input: HTMLInputElement): Promise<Incoming[]> {
  const files = [...(input.files ?? [])];
  const paths = files.map((file) => file.webkitRelativePath || file.name);
  const found = await Promise.all(files.map((file, at) => incoming(paths[at], file)));
  return withoutCommonFolder(found.filter((file) => !LEFT_OUT.test(file.path)));
}

export function download(name: string, type: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
