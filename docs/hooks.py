"""What the site takes from the code: the pages of the measurements in the order of the registry,
the links that open tutorials as notebooks, and the explorer of the reference models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attractor.explore import write_explorer
from attractor.measurements import ALL
from docs import notebooks
from docs.tables import title

PLACE = "Measurements"


def on_config(config: Any) -> Any:
    """Put the page of every measurement behind the index of its section; pages that several share
    stand once, and those that belong to no single measurement are listed in mkdocs.yml."""
    for section in config.nav:
        if isinstance(section, dict) and PLACE in section:
            index, *others = section[PLACE]
            pages = {f"measurements/{m.page}.md": title(m) for m in ALL}
            section[PLACE] = [index, *({name: page} for page, name in pages.items()), *others]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the link that opens a tutorial as a notebook below its title, where there is one."""
    source = Path(page.file.abs_src_path)
    link = notebooks.hosted(source, notebooks.repository())
    if source.parent != notebooks.PAGES or not link:
        return markdown
    head, _, rest = markdown.partition("\n")
    return f"{head}\n\n{link}\n{rest}"


def on_post_build(config: Any) -> None:
    """Write the explorer that docs/explorer.md embeds; it is too large to be kept with the
    sources."""
    write_explorer(None, Path(config.site_dir) / "reference-explorer.html")
