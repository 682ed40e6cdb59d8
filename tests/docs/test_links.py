"""Every link of every page leads somewhere: to a file that is there, and to a heading that it has."""

import re
import subprocess

import pytest

from pages import anchors_of, links_of
from stack import ROOT


def tracked_pages():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    return sorted(path for name in listed.split() if (path := ROOT / name).exists())


def dead_links(page, text):
    dead = []
    for link in links_of(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue   # the world's pages are the world's
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            dead.append(link)
        elif anchor and (target.suffix != ".md" or anchor not in anchors_of(target.read_text())):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", tracked_pages(), ids=lambda each: str(each.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert not dead_links(page, page.read_text())


@pytest.mark.parametrize("link", ["no-such-page.md", "README.md#no-such-heading", "#no-such-heading", "docs/no-such"])
def test_a_dead_link_is_found(link):
    assert dead_links(ROOT / "README.md", f"# A heading\n\nSee [there]({link}).\n") == [link]
    assert not dead_links(ROOT / "README.md", f"`[there]({link})`\n\n```\n[there]({link})\n```\n")


def test_every_page_for_readers_can_be_found_from_the_readme():
    """Each page of docs/ is linked from README.md, or from a page that is."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in links_of(page.read_text()) if "://" not in link)
        waiting += [target for target in targets if target.suffix == ".md" and target.exists()]
    assert not [str(page.relative_to(ROOT)) for page in tracked_pages() if page not in seen and ROOT / "docs" in page.parents]


def named_tests(text):
    """Tests that a page names as FILE.py::NAME."""
    return re.findall(r"(?:tests/[\w/]*/)?(\w+\.py)::(\w+)", text)


@pytest.mark.parametrize("page", [page for page in tracked_pages() if "::test_" in page.read_text()],
                         ids=lambda each: str(each.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page):
    for file, name in named_tests(page.read_text()):
        sources = [source.read_text() for source in (ROOT / "tests").rglob(file)]
        assert any(re.search(rf"^def {name}\b", source, re.MULTILINE) for source in sources), f"{file}::{name}"


def test_what_troubleshooting_quotes_of_readyz_is_what_the_daemons_say():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    sources = "".join(path.read_text() for folder in ("dispatcher", "executor") for path in (ROOT / folder).glob("*.cc"))
    quoted = [line for table in re.findall(r"\| line of `/readyz`.*\n\|.*\n((?:\|.*\n)+)", text) for line in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)]
    assert len(quoted) > 5
    for condition, _, reason in (line.partition(": ") for line in quoted):
        assert f'"{condition}"' in sources, condition
        for part in re.split(r"…|\bN\b", reason):
            assert part.strip() in sources, reason
