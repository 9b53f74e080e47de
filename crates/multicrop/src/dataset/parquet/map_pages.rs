//! [`MapPages`] is a page reader that transforms or refuses the pages of another one.

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;

/// A transformation of pages.
pub(super) trait PageMap {
    /// Transforms a page, or refuses it.
    fn map_page(&self, page: Page) -> Result<Page>;
}

/// Applies `map` to every page of `pages`.
pub(super) struct MapPages<P, F> {
    pub(super) pages: P,
    pub(super) map: F,
}

impl<P: PageReader, F: PageMap + Send> Iterator for MapPages<P, F> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<P: PageReader, F: PageMap + Send> PageReader for MapPages<P, F> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages.get_next_page()?.map(|page| self.map.map_page(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.pages.take_deferred_dictionary()?.map(|page| self.map.map_page(page)).transpose()
    }
}
